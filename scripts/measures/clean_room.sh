#!/usr/bin/env bash
# README's commands in a fresh root with git alone, as root (scripts/measure clean_room [bookworm|trixie|noble] [COMMAND])
# Needs root and debootstrap. The root lives in a temporary folder and is removed at the end; ORRERY_KEEP_ROOM=1 keeps it.
set -euo pipefail
suite=${1:-bookworm}
command=${2:-./run '"a red ball bounces on the floor"' '&&' ./run test}
mirror=http://deb.debian.org/debian
components=main
recipe=() # Debian's debootstrap may be older than the suite; every Ubuntu since gutsy is made alike
[[ $suite == noble ]] && mirror=http://archive.ubuntu.com/ubuntu components=main,universe recipe=(/usr/share/debootstrap/scripts/gutsy)
room=$(mktemp -d -t orrery-room.XXXXXX)
leave() {
  umount "$room/proc" "$room/dev" 2>/dev/null || true
  if [[ -n ${ORRERY_KEEP_ROOM:-} ]]; then echo "kept: $room"; else rm -rf --one-file-system "$room"; fi
}
trap leave EXIT
debootstrap --variant=minbase --components="$components" --include=ca-certificates,git "$suite" "$room" "$mirror" "${recipe[@]}" >"$room.log" 2>&1 ||
  { tail -n 20 "$room.log"; exit 1; }
rm -f "$room.log"
mount --bind /dev "$room/dev"
mount -t proc proc "$room/proc"
git clone -q --no-hardlinks . "$room/root/orrery"
start=$SECONDS
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb chroot "$room" bash -c "cd /root/orrery && $command" </dev/null
echo "clean_room: $suite: $((SECONDS - start)) s for: $command"
