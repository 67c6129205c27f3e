"""What starts runs: finished warehouse loads, business events, and the upkeep of what a killed run left."""
