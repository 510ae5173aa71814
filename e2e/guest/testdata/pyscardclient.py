#!/usr/bin/python3
"""What a Python program sees of the smart-card service through pyscard.

It prints what every call gives, so that what two services make of the same token
can be compared line by line. What has to differ between two tokens, names above
all, is masked. The lines "plug" and "unplug" ask for that to be done to the
token; standard input then has a line when it is. It begins without a token.
"""
import ast
import os
import sys
import threading

from smartcard.scard import *
from smartcard.System import readers

PNP = "\\\\?PnP?\\Notification"
ECHO = [0x80, 0xEC, 0x41, 0x01, 0x03]
CODES = {value: name for name, value in list(globals().items())
         if name.startswith(("SCARD_S_", "SCARD_E_", "SCARD_W_", "SCARD_F_", "SCARD_P_"))}
FLAGS = [(value, name[len("SCARD_STATE_"):].lower()) for name, value in list(globals().items())
         if name.startswith("SCARD_STATE_") and value]


def say(*words):
    print(*words, flush=True)


def text(value):
    """value as it is printed: bytes in hex, the reader's name masked"""
    if isinstance(value, list) and value and all(isinstance(v, int) for v in value):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(v) for v in value) + "]"
    if isinstance(value, str) and value.endswith(" 00 00"):
        return "READER"
    return str(value)


def code(result):
    result &= 0xFFFFFFFF
    return CODES.get(result, hex(result))


def plain(result):
    """a result of pyscard as what is printed: the name of the code, and what comes with success"""
    if isinstance(result, int):
        result = [result]
    words = [code(result[0])]
    if result[0] == SCARD_S_SUCCESS:
        words += [text(v) for v in result[1:]]
    return " ".join(words)


def flags(state):
    return "+".join(sorted(name for value, name in FLAGS if state & value)) + " events %d" % (state >> 16)


def changed(result):
    """what SCardGetStatusChange gives, for people"""
    result, states = result
    lines = ["%s %s %s" % (text(name), "readers" if name == PNP else flags(state), bytes(atr).hex())
             for name, state, atr in states]
    return code(result) + ": " + "; ".join(lines)


class Program:
    """One context and one handle. What its methods return is for comparison."""

    def __init__(self):
        result, self.context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
        assert result == SCARD_S_SUCCESS, code(result)
        self.card = 0
        self.reader = None

    def find(self):
        self.reader = SCardListReaders(self.context, [])[1][0]

    def connect(self, share, protocols=SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1):
        self.find()
        result, card, protocol = SCardConnect(self.context, self.reader, share, protocols)
        if result == SCARD_S_SUCCESS:
            self.card = card
        return code(result) + (" protocol %d" % protocol if result == SCARD_S_SUCCESS else "")

    def reconnect(self, share, how, protocols=SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1):
        return plain(SCardReconnect(self.card, share, protocols, how))

    def status(self, counter=True):
        result, name, state, protocol, atr = SCardStatus(self.card)
        if result != SCARD_S_SUCCESS:
            return code(result)
        return " ".join([code(result), text(name), hex(state if counter else state & 0xFFFF), str(protocol), bytes(atr).hex()])

    def transmit(self, apdu=ECHO, pci=SCARD_PCI_T1):
        return plain(SCardTransmit(self.card, pci, apdu))

    def begin(self):
        return plain(SCardBeginTransaction(self.card))

    def end(self, how=SCARD_LEAVE_CARD):
        return plain(SCardEndTransaction(self.card, how))

    def disconnect(self, how=SCARD_LEAVE_CARD):
        return plain(SCardDisconnect(self.card, how))

    def control(self, number, data=()):
        return plain(SCardControl(self.card, SCARD_CTL_CODE(number), list(data)))

    def attribute(self, number):
        return plain(SCardGetAttrib(self.card, number))

    def change(self, timeout, states):
        return SCardGetStatusChange(self.context, timeout, states)

    def release(self):
        return plain(SCardReleaseContext(self.context))


class Other:
    """A Program in a process of its own, which does what it is told."""

    def __init__(self):
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.commands)
            os.close(self.answers)
            program = Program()
            for line in os.fdopen(commands):
                method, *args = ast.literal_eval(line)
                os.write(answers, (getattr(program, method)(*args) + "\n").encode())
            os._exit(0)
        os.close(commands)
        os.close(answers)
        self.answers = os.fdopen(self.answers)

    def start(self, method, *args):
        os.write(self.commands, (repr((method,) + args) + "\n").encode())

    def answer(self):
        return self.answers.readline().strip()

    def do(self, method, *args):
        self.start(method, *args)
        return self.answer()

    def stop(self):
        os.close(self.commands)
        os.waitpid(self.pid, 0)

    def kill(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def ask(what):
    say(what)
    assert sys.stdin.readline().strip() == "done"


def appear(p):
    """waits until there is a reader with a card"""
    state = 0
    while True:
        result, states = p.change(INFINITE, [(PNP, state)])
        state = states[0][1] & ~SCARD_STATE_CHANGED
        result, names = SCardListReaders(p.context, [])
        if result == SCARD_S_SUCCESS and names:
            break
    p.find()
    settle(p, lambda s: s & SCARD_STATE_PRESENT)


def settle(p, ready):
    """waits until the reader's state is as it should be, and returns it"""
    state = 0
    while True:
        result, states = p.change(20000, [(p.reader, state)])
        assert result == SCARD_S_SUCCESS, code(result)
        if ready(states[0][1]):
            return states
        state = states[0][1] & ~SCARD_STATE_CHANGED


def no_token(p):
    say("readers", plain(SCardListReaders(p.context, [])))
    say("groups", plain(SCardListReaderGroups(p.context)))
    say("valid", plain(SCardIsValidContext(p.context)), plain(SCardIsValidContext(p.context ^ 1)))
    say("scope", plain(SCardEstablishContext(9)[:1]))
    say("unknown reader", changed(p.change(0, [("Nobody 00 00", 0)])))
    say("connect nowhere", code(SCardConnect(p.context, "Nobody 00 00", SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY)[0]))
    say("cancel nothing", plain(SCardCancel(p.context)))
    ask("plug")
    appear(p)


def states(p):
    say("readers", plain(SCardListReaders(p.context, [])))
    unaware = p.change(0, [(p.reader, SCARD_STATE_UNAWARE)])
    say("unaware", changed(unaware))
    known = unaware[1][0][1] & ~SCARD_STATE_CHANGED
    say("time out", changed(p.change(100, [(p.reader, known)])))
    say("at once", changed(p.change(0, [(p.reader, known)])))
    say("ignored", changed(p.change(0, [(p.reader, SCARD_STATE_IGNORE)])))
    say("two", changed(p.change(0, [(p.reader, SCARD_STATE_EMPTY), (p.reader, known)])))


def sharing(p, other):
    say("connect, T=0 only", p.connect(SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0))
    say("connect, no protocol", p.connect(SCARD_SHARE_SHARED, 0))
    say("connect, no share", p.connect(7))
    say("connect", p.connect(SCARD_SHARE_SHARED))
    say("status", p.status())
    say("in use", changed((0, settle(p, lambda s: s & SCARD_STATE_INUSE))))
    say("other connects", other.do("connect", SCARD_SHARE_SHARED))
    say("other disconnects", other.do("disconnect"))
    say("other connects, exclusive", other.do("connect", SCARD_SHARE_EXCLUSIVE))
    say("exclusive", p.reconnect(SCARD_SHARE_EXCLUSIVE, SCARD_LEAVE_CARD))
    say("state", changed((0, settle(p, lambda s: s & SCARD_STATE_EXCLUSIVE))))
    say("other connects", other.do("connect", SCARD_SHARE_SHARED))
    say("other connects, direct", other.do("connect", SCARD_SHARE_DIRECT))
    say("shared", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD))


def commands(p):
    say("echo", p.transmit())
    say("echo of 200", p.transmit([0x80, 0xEC, 0, 0, 200] + list(range(200)) + [200]))
    say("select", p.transmit([0, 0xA4, 0, 0, 2, 0x3F, 0]))
    say("no such instruction", p.transmit([0, 0xFE, 0, 0]))
    say("wrong class", p.transmit([0xFF, 0xA4, 0, 0]))
    say("wrong protocol", p.transmit(ECHO, SCARD_PCI_T0))
    say("raw", p.transmit(ECHO, SCARD_PCI_RAW))


# What has to differ: names, and where the device is on the bus.
MASKED = [SCARD_ATTR_VENDOR_NAME, SCARD_ATTR_CHANNEL_ID, SCARD_ATTR_DEVICE_FRIENDLY_NAME_A,
          SCARD_ATTR_DEVICE_SYSTEM_NAME_A]
ATTRIBUTES = [n for n in sorted(globals()) if n.startswith("SCARD_ATTR_")]
# libccid has no answer to these, where Windows has one: kaztoken may have it.
WINDOWS = [SCARD_ATTR_VENDOR_IFD_TYPE, SCARD_ATTR_ASYNC_PROTOCOL_TYPES, SCARD_ATTR_CURRENT_PROTOCOL_TYPE]


def attributes(p):
    for name in ATTRIBUTES:
        number = globals()[name]
        if number in WINDOWS:
            continue
        result, value = SCardGetAttrib(p.card, number)
        if result == SCARD_S_SUCCESS and number in MASKED:
            whole = bytes(value)
            say(name, code(result), "masked", "text" if whole.endswith(b"\0") and whole[:-1].decode().isprintable() else len(whole))
        else:
            say(name, plain([result, value]))
    say("set", plain(SCardSetAttrib(p.card, SCARD_ATTR_VENDOR_NAME, [65])))


# wLcdLayout, bTimeOut2, bPPDUSupport, dwMaxAPDUDataSize, wIdVendor. libccid tells
# the length of PINs and the like of readers with keys only.
PROPERTIES = [1, 3, 9, 10, 11]


def properties(p):
    """the TLV properties that every reader has, but for the product id"""
    result, value = SCardControl(p.card, SCARD_CTL_CODE(0x42330012 - 0x42000000), [])
    if result != SCARD_S_SUCCESS:
        return code(result)
    found = []
    while value:
        tag, length = value[:2]
        if tag in PROPERTIES:
            found.append("%02x=%s" % (tag, bytes(value[2:2 + length]).hex()))
        value = value[2 + length:]
    return " ".join(sorted(found))


def direct(p):
    for what in "with a card", "direct":
        say(what)
        say("features", p.control(3400))
        say("properties", properties(p))
        say("escape", "refused" if not p.control(1, [1, 2, 3]).startswith("SCARD_S") else "passed")
        say("unknown", p.control(0x700))
        if what == "direct":
            say("echo", p.transmit())
            break
        say("disconnect", p.disconnect())
        say("connect", p.connect(SCARD_SHARE_DIRECT))
    say("disconnect", p.disconnect())


def transactions(p, other):
    say("connect", p.connect(SCARD_SHARE_SHARED), other.do("connect", SCARD_SHARE_SHARED))
    say("end without begin", p.end())
    say("begin", p.begin())
    say("begin again", p.begin())
    say("other ends", other.do("end"))
    say("other controls", other.do("control", 3400))
    say("other asks an attribute", other.do("attribute", SCARD_ATTR_ATR_STRING))
    other.start("transmit", [0x80, 0xEC, 0x61, 0, 2])
    say("echo", p.transmit())
    say("end", p.end(), p.end(), p.end())
    say("other was served then", other.answer())
    say("other begins", other.do("begin"))
    begun = []
    waiting = threading.Thread(target=lambda: begun.append(p.begin()))
    waiting.start()
    say("other goes on", other.do("transmit"))
    say("other ends", other.do("end"))
    waiting.join()
    say("begin waited", *begun)
    say("end with a reset", p.end(SCARD_RESET_CARD))
    say("status", p.status(), other.do("status"))
    say("reconnect", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD),
        other.do("reconnect", SCARD_SHARE_SHARED, SCARD_LEAVE_CARD))


def resets(p, other):
    say("other resets", other.do("reconnect", SCARD_SHARE_SHARED, SCARD_RESET_CARD))
    say("status", p.status())
    say("echo", p.transmit())
    say("begin", p.begin())
    say("control", p.control(3400))
    say("reconnect", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD))
    say("echo", p.transmit())
    say("other powers down and up", other.do("reconnect", SCARD_SHARE_SHARED, SCARD_UNPOWER_CARD))
    say("echo", p.transmit())
    say("reconnect, T=0 only", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD, SCARD_PROTOCOL_T0))
    say("reconnect", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD))
    say("other leaves and resets", other.do("disconnect", SCARD_RESET_CARD))
    say("echo", p.transmit())
    say("reconnect", p.reconnect(SCARD_SHARE_SHARED, SCARD_RESET_CARD))
    say("echo", p.transmit())


def deaths(p, other):
    say("other connects", other.do("connect", SCARD_SHARE_SHARED))
    say("other begins", other.do("begin"))
    other.kill()
    while not p.status().startswith("SCARD_W_RESET_CARD"):  # pcscd gives the lock free, and then resets the card
        pass
    say("begin", p.begin())
    say("reconnect", p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD))
    say("begin", p.begin())
    say("end", p.end())


def cancelled(p):
    """a wait that another thread ends"""
    known = p.change(0, [(p.reader, 0)])[1][0][1] & ~SCARD_STATE_CHANGED
    done = []
    waiting = threading.Thread(target=lambda: done.append(p.change(INFINITE, [(p.reader, known)])))
    waiting.start()
    while waiting.is_alive():  # before it waits there is nothing to be cancelled
        assert SCardCancel(p.context) == SCARD_S_SUCCESS
        waiting.join(0.1)
    say("cancelled", code(done[0][0]))
    answer = p.transmit()
    if answer == "SCARD_E_PROTO_MISMATCH":  # pcscd told of the reset before it was done, and this was quicker
        p.reconnect(SCARD_SHARE_SHARED, SCARD_LEAVE_CARD)
        answer = p.transmit()
    say("still valid", plain(SCardIsValidContext(p.context)), answer)


def easy():
    """the part of pyscard that most programs use"""
    connection = readers()[0].createConnection()
    connection.connect()
    say("connection", connection.getProtocol(), text(connection.getATR()), *map(text, connection.transmit(ECHO)))
    connection.disconnect()


def listed(p):
    """whether there are readers"""
    while True:
        try:
            return SCardListReaders(p.context, [])[0] == SCARD_S_SUCCESS
        except SystemError:
            pass  # pyscard asks how long the names are, then for them, and reads them also if the reader left in between


def removal(p):
    waiter = Program()
    known = waiter.change(0, [(p.reader, 0)])[1][0][1] & ~SCARD_STATE_CHANGED
    done = []
    waiting = threading.Thread(target=lambda: done.append(waiter.change(INFINITE, [(p.reader, known)])))
    waiting.start()
    poll = 7  # the number of the system call that the library waits in
    while not open("/proc/self/task/%d/syscall" % waiting.native_id).read().startswith("%d " % poll):
        waiting.join(0.01)
    ask("unplug")
    waiting.join()
    say("waiter", code(done[0][0]), "unavailable" if done[0][1][0][1] & (SCARD_STATE_UNAVAILABLE | SCARD_STATE_EMPTY) else "there")
    state = 0
    while listed(p):
        # Not for ever: of what happens before the library looks at the readers it does not tell.
        state = waiter.change(1000, [(PNP, state)])[1][0][1] & ~SCARD_STATE_CHANGED
    say("readers", plain(SCardListReaders(p.context, [])))
    say("status", p.status())
    ask("plug")
    appear(waiter)
    say("the old handle", "dead" if not p.transmit().startswith("SCARD_S") else "alive")
    say("disconnect", p.disconnect())
    say("a new one", p.connect(SCARD_SHARE_SHARED), p.transmit())
    say("power down", p.disconnect(SCARD_UNPOWER_CARD))
    # Whether pcscd has counted the card of a reader that was plugged in depends on how soon it looked.
    say("and up", p.connect(SCARD_SHARE_SHARED), p.transmit(), p.status(counter=False))
    say("release", p.release(), waiter.release())
    say("once more", p.release())
    say("after it", p.transmit())


def main():
    other = Other()
    p = Program()
    for part, args in [(no_token, (p,)), (states, (p,)), (sharing, (p, other)), (commands, (p,)), (attributes, (p,)),
                       (direct, (p,)), (transactions, (p, other)), (resets, (p, other)), (deaths, (p, other)),
                       (cancelled, (p,)), (easy, ()), (removal, (p,))]:
        say("#", part.__name__)
        part(*args)


main()
