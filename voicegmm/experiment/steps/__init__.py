"""The work of each stage: functions of paths and options, which know nothing of recipes."""
