#!/usr/bin/env python3
"""close_window.py WINDOW: asks an X window to close as a window manager's cross does (ICCCM, WM_DELETE_WINDOW).

Needs python-xlib. xdotool has this as windowquit only since 3.20210804, which Debian 12 does not have.
"""
import sys

from Xlib import X, display
from Xlib.protocol import event


def main():
    connection = display.Display()
    window = connection.create_resource_object("window", int(sys.argv[1], 0))
    protocols, delete = (connection.intern_atom(name) for name in ("WM_PROTOCOLS", "WM_DELETE_WINDOW"))
    window.send_event(event.ClientMessage(window=window, client_type=protocols, data=(32, [delete, X.CurrentTime, 0, 0, 0])))
    connection.sync()


main()
