"""The pure core: functions from values to values, without a descriptor, a clock, a log or a pid it was not given."""
