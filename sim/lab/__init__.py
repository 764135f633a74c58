"""What one does with a scenario: run it, repeat it, compare, sweep, explore."""
