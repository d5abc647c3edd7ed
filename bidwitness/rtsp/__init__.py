"""RTSP and RTP, from the camera's socket to whole pictures and blocks of sound.

``door`` says whether a camera may be sent a login, ``client`` talks RTSP, ``receiver`` and
``datagrams`` take what comes, the payload modules put it together, ``stream`` is what others use.
It is our own, and in Python: half of what a library cost went into reading every packet with three
calls, it hid what it lost and when things came, and a camera's bytes are a stranger's.
"""
