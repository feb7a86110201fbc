"""What is measured: ours, the floors, the peers. One module each, loaded only in that subject's process."""
