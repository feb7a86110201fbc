"""How someone reaches a host. Faces translate and never decide; they don't import each other."""
