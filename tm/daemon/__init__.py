"""The conduct: feeds the table with what happened and carries out what it says."""
