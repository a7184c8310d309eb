"""What KN, CaliNET and T-Patcher share: neurons that are found, scaled or added."""
