"""What is served over HTTP for the suite `http`: each a program that prints its port once it listens."""
