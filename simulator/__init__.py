"""Virtual cameras: RTSP and ONVIF devices whose frames prove sync, order and loss."""
