"""From a configuration and prepared pictures to a trained network, and from that to what is served."""
