#!/usr/bin/env bash
# Install, as root and only when missing, the Debian packages that the tests use.
set -euo pipefail

missing=()
need() { # need PACKAGE TEST...
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
exists() { compgen -G "$1"; }

need ffmpeg command -v ffmpeg
need chromium command -v chromium
need redis-server command -v redis-server
need postgresql exists '/usr/lib/postgresql/*/bin/initdb'
need fonts-noto-cjk exists '/usr/share/fonts/opentype/noto/NotoSansCJK*'
need softhsm2 command -v softhsm2-util
need poppler-utils command -v pdftotext
need python3-gi test -d /usr/lib/python3/dist-packages/gi
need gir1.2-gst-rtsp-server-1.0 exists '/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib'
need gstreamer1.0-plugins-base exists '/usr/lib/*/gstreamer-1.0/libgstplayback.so'
need gstreamer1.0-plugins-good exists '/usr/lib/*/gstreamer-1.0/libgstrtp.so'
need gstreamer1.0-plugins-bad exists '/usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so'

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. Tests that need them are skipped; install them as root to run all." >&2
    exit 0
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
