"""Pure decisions: no AWS, no environment, no clock, no log."""
