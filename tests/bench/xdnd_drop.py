#!/usr/bin/env python3
"""xdnd_drop.py WINDOW FILE...: lets files fall on an X window as a file manager does (XDND, version 5).

Needs python-xlib. Acts as the drag's source: enters, moves to the window's middle, drops, and hands out text/uri-list when
the window asks for the selection. Exit code 0 when the window says that it took the drop.
"""
import pathlib
import sys
import time

from Xlib import X, Xatom, display
from Xlib.protocol import event


def main():
    target_id, files = int(sys.argv[1], 0), sys.argv[2:]
    uris = "".join(pathlib.Path(f).resolve().as_uri() + "\r\n" for f in files).encode()
    connection = display.Display()
    atom = connection.intern_atom
    target = connection.create_resource_object("window", target_id)
    source = connection.screen().root.create_window(-10, -10, 1, 1, 0, X.CopyFromParent)
    uri_list = atom("text/uri-list")
    source.set_selection_owner(atom("XdndSelection"), X.CurrentTime)

    def send(kind, data):
        target.send_event(event.ClientMessage(window=target, client_type=atom(kind), data=(32, data)))
        connection.flush()

    place = target.get_geometry()
    corner = target.translate_coords(connection.screen().root, 0, 0)
    x, y = place.width // 2 - corner.x, place.height // 2 - corner.y
    send("XdndEnter", [source.id, 5 << 24, uri_list, 0, 0])
    send("XdndPosition", [source.id, 0, (x & 0xFFFF) << 16 | (y & 0xFFFF), X.CurrentTime, atom("XdndActionCopy")])
    dropped, end = False, time.time() + 20
    while time.time() < end:
        if connection.pending_events() == 0:
            time.sleep(0.01)
            continue
        got = connection.next_event()
        if got.type == X.ClientMessage and got.client_type == atom("XdndStatus") and not dropped:
            if not got.data[1][1] & 1:
                sys.exit("xdnd_drop: the window does not want it")
            send("XdndDrop", [source.id, 0, X.CurrentTime, 0, 0])
            dropped = True
        elif got.type == X.SelectionRequest:
            got.requestor.change_property(got.property, uri_list, 8, uris)
            got.requestor.send_event(event.SelectionNotify(time=got.time, requestor=got.requestor, selection=got.selection,
                                                           target=got.target, property=got.property))
            connection.flush()
        elif got.type == X.ClientMessage and got.client_type == atom("XdndFinished"):
            if not got.data[1][1]:  # the lowest bit means taken; GLFW puts the list's length there
                sys.exit("xdnd_drop: the window refused it")
            return
    sys.exit("xdnd_drop: no answer in 20 s")


main()
