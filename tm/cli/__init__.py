"""The entry: command lines, the shell at the prompt, and what people see."""
