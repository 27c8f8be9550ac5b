"""How good a trained network is: calibration and thresholds on validation, every measure on test."""
