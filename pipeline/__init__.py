"""What both ends of the queue share. Imports neither Django nor TensorFlow, nor any other package of ours."""
