"""The listening loop: frames in, detections out. Always on, cheap, waits for nobody."""
