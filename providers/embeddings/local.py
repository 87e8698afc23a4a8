"""The local model, of the extra ``embeddings``: static vectors of tokens, which come with the wheel of WordLlama.

In order of time: the first text, or the parent of the workers before it forks, reads the tokenizer and maps the weights
into memory; the vector of a text is the mean of the vectors of its tokens, which is what the package computes too.
Nothing is ever downloaded. The files are read and the package is not imported: it looks for its tokenizer where it does
not ship it, and then downloads one; it configures the logging of the whole process; and it brings 50 MiB of code.

The 16 MiB of weights are pages of the file, one copy for all processes of a machine. The tokenizer, some 14 MiB, and
the libraries are shared by the workers that are forked after the load.
"""

import importlib.util
import json
import os
import struct
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config import logs
from providers.base import ProviderError

#: between texts about the same and others (docs/gateway.md has how it was found)
THRESHOLD = 0.3
#: the vector of a text of this many characters takes a millisecond or two, of any script
QUICK_CHARACTERS = 500
#: vectors are short, and the parent of workers has no threads when it forks
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

_MODULES = ("numpy", "tokenizers", "wordllama")
_TOKENIZER, _WEIGHTS = "tokenizers/l2_supercat_tokenizer_config.json", "weights/l2_supercat_256.safetensors"
_TENSOR = "embedding.weight"
_MISSING = "needs the extra embeddings: pip install 'tocsin-server[embeddings]', for the API and the workers"

log = logs.logger(__name__)


class Model:
    """The model, loaded once in a process."""

    threshold = THRESHOLD
    #: it computes, and waits for nothing
    waits = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._weights: Any = None

    def is_quick(self, text: str) -> bool:
        """Whether a vector comes within a few milliseconds."""
        return self._weights is not None and len(text) <= QUICK_CHARACTERS

    def embed(self, text: str) -> Sequence[float]:
        """The vector of a text.

        Raises:
            ProviderError: the extra is not installed, or its files are not those that are known.
        """
        if self._weights is None:
            self.load()
        # for one text too it is the batch that lets other threads go on meanwhile
        tokens = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        if not tokens:
            raise ProviderError("no_tokens", "the text has nothing that the model knows", details={"of_text": True})
        return array("f", (self._weights[tokens].sum(axis=0, dtype="<f4") / len(tokens)).tobytes())

    def load(self) -> None:
        """Read the model now.

        Raises:
            ProviderError: as ``embed``.
        """
        with self._lock:
            if self._weights is not None:
                return
            folder = _folder()
            for name, value in _ONE_THREAD.items():
                os.environ.setdefault(name, value)  # noqa: TID251 - the libraries read nothing else
            try:
                from tokenizers import Tokenizer

                self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
                self._tokenizer.model._resize_cache(0)  # noqa: SLF001 - of whole texts, 10,000: they are kept elsewhere
                self._weights = _mapped(folder / _WEIGHTS)
                self.embed("what is made with the first text is made here, and shared")
            except Exception as error:  # the libraries raise what they like
                log.exception("local model of embeddings not loaded")
                raise ProviderError("model_unreadable", "the local model cannot be read; the log says why") from error


def _folder() -> Path:
    """Where the package has its files; it is not imported."""
    found = {name: importlib.util.find_spec(name) for name in _MODULES}
    package = found["wordllama"]
    if not all(found.values()) or package is None or package.origin is None:
        raise ProviderError("not_installed", f"the local model {_MISSING}")
    return Path(package.origin).parent


def _mapped(path: Path) -> Any:
    """The matrix of a file in the format safetensors: the length of a JSON header, the header, the numbers."""
    import numpy as np

    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        told = json.loads(file.read(length))[_TENSOR]
    if told["dtype"] != "F16":
        raise ValueError(f"numbers of the type {told['dtype']} are not known")
    return np.memmap(path, "<f2", "r", 8 + length + told["data_offsets"][0], tuple(told["shape"]))


#: the model of this process
MODEL = Model()
