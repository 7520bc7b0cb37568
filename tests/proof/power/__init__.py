"""Power loss: a run is recorded once, and the states that its disk may have after a loss are made of that."""
