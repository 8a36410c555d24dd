"""The edge: one kernel facility a module, none of which knows another."""
