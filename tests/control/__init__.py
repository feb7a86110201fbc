"""Tasks held in hand: cancelled, bounded, and idle."""
