"""GNU readline as an editor that never waits: keys in, lines out, and the screen as bytes.

Guarantees: no call blocks; what readline draws goes to `emit`; the prompt and the half-typed line survive
messages and a change of size; no sequence of keys is known to take the program down.
Leaves to others: reading stdin, the modes of the terminal, job control (all `console`); the file of the
history (a `Memory`); what a word may become (`Complete`).

Why the callback interface. While somebody types, the loop goes on: a child that ends is seen at once.
* `input()` waits for a whole line. With PyOS_InputHook a loop can run inside that wait, but readline calls
  the hook between two looks at the keyboard, 0.1 s apart: other events waited for 90 ms (measured).
* prompt_toolkit runs an asyncio loop of its own; beside another loop it needs a thread.
* A thread of ours that waits for a line would have to be woken to let go of the terminal, could not print
  above the prompt, and a program that has threads cannot fork safely.
`rl_callback_read_char` takes a key and returns. Python's `readline` module does not offer it, but links the
library that does: ctypes finds the functions through the module's own file, so that both use one copy. The
module stays in use for history and completion. libedit offers half of this under the same name: what lacks a
function, or is older than 7.0, is not used.

The traps:
* A command that is carried out inside readline's line handler runs in the middle of `rl_callback_read_char`,
  which goes on to draw the next prompt. So the handler only notes the line and removes itself; the line is
  handed over when readline has returned, and the next prompt is installed after that.
* readline reads and writes through C streams, and both may wait. It gets its keys from a queue
  (`rl_getc_function`) and draws into memory (`open_memstream`); the bell, which goes to stderr, is off. So
  it cannot block on a stopped terminal, nor read on past a Ctrl-C. A command that wants a second key which
  is not there gets Ctrl-G: give up.
* It catches signals, sets terminal modes around every line (between two lines Ctrl-C would be a signal
  again) and writes LINES and COLUMNS into the environment that children get. All off.
* What crashes or hangs it takes a supervisor down. Random keys did that to 8.2 (with and without valgrind),
  and what they did it by is not offered: vi mode never comes back from a word that ends in an umlaut; an
  argument (Alt-8) before Enter loses the Enter; Ctrl-R Ctrl-X a was a null pointer, so Ctrl-X ends a search
  here; the searches that are not incremental and operate-and-get-next free twice what they saved. Keyboard
  macros and a second reading of inputrc would let the rest in again.
* Undo frees its records twice where lines of the history are edited or searched. They are dropped after
  every key, before anything else can point to them; hence one call for each key that may be a command.
* Half a character sends its movements round in circles: what is not UTF-8 is replaced before it gets there,
  and Escape before a character of several bytes is taken back.
* Its functions to clean up after a Ctrl-C free twice what a search has saved. Here Ctrl-C is a key, bound to
  abort, as often as there is something to abort; then the line is entered, and not looked at.
"""

from __future__ import annotations

import codecs
import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Final, TypeAlias

from tm.core.ports import LINE_BYTES, Key, Memory, Typed

Complete: TypeAlias = Callable[[str, str], list[str]]
"""From the line before the cursor and the word at the cursor to all words it may become."""

_CTRL_C, _GIVE_UP, _ENTER, _SPACE, _DELETE = 0x03, 0x07, 0x0A, 0x20, 0x7F
_WAYS_OUT: Final = (_GIVE_UP, _CTRL_C, _GIVE_UP, _CTRL_C)
_MULTIKEY: Final = 0x200000
_IN_THE_MIDDLE: Final = 0x10 | 0x80 | 0x100 | 0x400 | 0x1000 | 0x100000 | _MULTIKEY | 0x800000
"""RL_STATE_ METANEXT ISEARCH NSEARCH NUMERICARG MACRODEF VIMOTION MULTIKEY CHARSEARCH"""
_LINE_HANDLER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_STREAM_TO_INT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_TO_INT: Final = ctypes.CFUNCTYPE(ctypes.c_int)
_OLDEST_VERSION: Final = 0x0700
# fmt: off
_FUNCTIONS: Final = (
    "rl_abort", "rl_bind_key", "rl_callback_handler_install", "rl_callback_handler_remove",
    "rl_callback_read_char", "rl_clear_visible_line", "rl_free_undo_list", "rl_get_keymap_by_name",
    "rl_on_new_line", "rl_parse_and_bind", "rl_redisplay", "rl_reset_screen_size", "rl_resize_terminal",
    "rl_tty_set_echoing", "rl_unbind_function_in_map", "fflush", "free", "open_memstream", "rewind",
)
_NOT_HERE: Final = (
    "rl_digit_argument", "rl_universal_argument", "rl_vi_editing_mode", "rl_re_read_init_file",
    "rl_start_kbd_macro", "rl_end_kbd_macro", "rl_call_last_kbd_macro", "rl_operate_and_get_next",
    "rl_noninc_forward_search", "rl_noninc_reverse_search",
)
_INPUTRC: Final = (
    b"set editing-mode emacs", b"set bell-style none", b"set isearch-terminators \\e\\C-x\\C-j",
    # What would wait for a second key.
    b"set enable-bracketed-paste off", b'"\\e[200~": ""', b"set keyseq-timeout 0", b"set page-completions off",
    b"set completion-query-items -1", b"set blink-matching-paren off", b"tab: complete",
)
# fmt: on


def load(prompt: str, history: Memory, complete: Complete) -> Readline | None:
    """An editor on stdin and stdout; None where there is not a terminal at both ends, or no GNU readline."""
    if not (os.isatty(0) and os.isatty(1)) or os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        import readline

        library = ctypes.CDLL(getattr(readline, "__file__", None))
        for name in (*_FUNCTIONS, *_NOT_HERE):
            getattr(library, name)
        if ctypes.c_int.in_dll(library, "rl_readline_version").value < _OLDEST_VERSION:
            return None
    except (ImportError, OSError, AttributeError, ValueError):
        return None
    _tame(library)
    return Readline(readline, library, prompt, history, complete)


def _tame(library: ctypes.CDLL) -> None:
    for name in ("rl_catch_signals", "rl_catch_sigwinch", "rl_change_environment"):
        ctypes.c_int.in_dll(library, name).value = 0
    for name in ("rl_prep_term_function", "rl_deprep_term_function"):
        ctypes.c_void_p.in_dll(library, name).value = None
    library.rl_tty_set_echoing(1)
    for line in _INPUTRC:
        library.rl_parse_and_bind(ctypes.create_string_buffer(line))  # it writes into what it is given
    library.rl_bind_key(_CTRL_C, library.rl_abort)
    library.rl_get_keymap_by_name.restype = ctypes.c_void_p
    for keymap in map(library.rl_get_keymap_by_name, (b"emacs", b"emacs-meta", b"emacs-ctlx")):
        for name in _NOT_HERE:
            library.rl_unbind_function_in_map(getattr(library, name), ctypes.c_void_p(keymap))


class Readline:
    """An `Editor` (core.ports). There is one readline in a process, so there is to be one of these."""

    by_key = True

    def __init__(
        self, module: ModuleType, library: ctypes.CDLL, prompt: str, history: Memory, complete: Complete
    ) -> None:
        self.shown = False
        self.emit: Callable[[bytes], None] = lambda data: None
        self._module = module
        self._library = library
        self._prompt = prompt.encode()
        self._history = history
        self._complete = complete
        self._candidates: list[str] = []
        self._keys: deque[int] = deque()
        self._installed = False
        self._line: Typed | None = None
        self._too_long = False
        self._pressing = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._state = ctypes.c_ulong.in_dll(library, "rl_readline_state")
        self._undo = ctypes.c_void_p.in_dll(library, "rl_undo_list")
        self._length = ctypes.c_int.in_dll(library, "rl_end")
        self._cursor = ctypes.c_int.in_dll(library, "rl_point")
        # Python must keep what C calls alive.
        self._handler = _LINE_HANDLER(self._on_line)
        self._hooks = (_STREAM_TO_INT(self._next_key), _TO_INT(self._text_waits))
        self._drawn, self._drawn_bytes = ctypes.c_void_p(), ctypes.c_size_t()
        library.open_memstream.restype = ctypes.c_void_p
        self._stream = ctypes.c_void_p(
            library.open_memstream(ctypes.byref(self._drawn), ctypes.byref(self._drawn_bytes))
        )
        self._set_up()

    def show(self) -> None:
        """A new prompt, or the old one again with what was typed; none before the end of a line that is ignored."""
        if self.shown or self._too_long:
            return
        self.shown = True
        if not self._installed:
            self._installed = True
            self._library.rl_callback_handler_install(self._prompt, self._handler)
        else:
            self._library.rl_on_new_line()
            self._library.rl_redisplay()
        self._flush()

    def hide(self) -> None:
        """All rows that prompt and line take up are cleared."""
        if self.shown:
            self.shown = False
            self._library.rl_clear_visible_line()
            self._flush()

    def feed(self, data: bytes) -> Iterator[Typed]:
        """Keys, one by one or as many as readline takes at once."""
        self._keys.extend(self._decoder.decode(data).encode())
        while self._keys:
            typed = self._skip() if self._too_long else self._take()
            if typed is not None:
                yield typed

    def finish(self) -> Iterator[Typed]:
        """The terminal is gone: what is half typed was not entered."""
        yield Key.END

    def resized(self) -> None:
        """Measure, and draw what is shown anew."""
        if self.shown:
            self._library.rl_resize_terminal()
            self._flush()
        else:
            self._library.rl_reset_screen_size()

    def close(self) -> None:
        """Let go of the terminal, keep the history."""
        if self._installed:
            self._remove()
        self._history.save()

    def _set_up(self) -> None:
        library = self._library
        hooks = ("rl_getc_function", "rl_input_available_hook")
        for name, function in zip(hooks, self._hooks, strict=True):
            ctypes.c_void_p.in_dll(library, name).value = ctypes.cast(function, ctypes.c_void_p).value
        ctypes.c_void_p.in_dll(library, "rl_outstream").value = self._stream.value
        for line in self._history.lines:
            self._module.add_history(line)
        self._module.set_completer_delims(" \t\n")
        self._module.set_completer(self._candidate)

    def _take(self) -> Typed | None:
        """Let readline have a key."""
        self.show()
        if self._keys[0] == _CTRL_C:
            self._keys.popleft()
            self._drop(b"^C")
            return Key.INTERRUPT
        if self._keys[0] > _DELETE and self._state.value & _MULTIKEY:
            self._press(_CTRL_C)
        self._read_key()
        typed, self._line = self._line, None
        if typed is None and self._length.value > LINE_BYTES:
            self._too_long = True
            self._drop(b"")
        return typed

    def _skip(self) -> Typed | None:
        """Pass over a key of a line that was too long, until that ends."""
        self._too_long = self._keys.popleft() not in b"\r\n\x03"
        return None if self._too_long else Key.TOO_LONG

    def _on_line(self, text: int | None) -> None:
        """Called by readline, from within read_char."""
        self._remove()
        if text is None:
            self._line = Key.END
            self.emit(b"\n")
            return
        line = ctypes.string_at(text).decode(errors="replace")
        self._library.free(ctypes.c_void_p(text))
        if not self._pressing and self._history.add(line):
            self._module.add_history(line)
        self._line = line

    def _drop(self, mark: bytes) -> None:
        """Leave the line on the screen with a mark behind it, and forget it."""
        for key in _WAYS_OUT:
            if self._state.value & _IN_THE_MIDDLE:
                self._press(key)
        self._cursor.value = self._length.value
        self._library.rl_redisplay()
        self._flush()
        self.emit(mark)
        self._press(_ENTER)
        self._line = None
        if self._installed:
            self._remove()
            self.emit(b"\n")

    def _press(self, key: int) -> None:
        """A key that nobody typed, before those that wait."""
        self._keys, waiting = deque([key]), self._keys
        self._pressing = True
        self._read_key()
        self._pressing = False
        self._keys = waiting

    def _read_key(self) -> None:
        self._library.rl_callback_read_char()
        if self._undo.value:
            self._library.rl_free_undo_list()
        self._flush()

    def _remove(self) -> None:
        self._library.rl_callback_handler_remove()
        self._installed = self.shown = False
        self._flush()

    def _next_key(self, stream: int) -> int:
        return self._keys.popleft() if self._keys and (self._pressing or self._keys[0] != _CTRL_C) else _GIVE_UP

    def _text_waits(self) -> int:
        """Text is taken in by one call, and drawn once; a key that may be a command has a call of its own."""
        return bool(self._keys) and self._keys[0] >= _SPACE and self._keys[0] != _DELETE

    def _candidate(self, word: str, index: int) -> str | None:
        """One completion a call, until None: readline's way to ask."""
        if index == 0:
            found = self._complete(self._module.get_line_buffer()[: self._module.get_endidx()], word)
            self._candidates = [found[0] + " "] if len(found) == 1 else found
        return self._candidates[index] if index < len(self._candidates) else None

    def _flush(self) -> None:
        """Hand on what readline has drawn, and let it begin at the start of its page again."""
        self._library.fflush(self._stream)
        if self._drawn_bytes.value:
            self.emit(ctypes.string_at(self._drawn.value or 0, self._drawn_bytes.value))
            self._library.rewind(self._stream)
