"""gunicorn's gevent worker for a process of the API.

In order of time: a connection is counted (``config.server.connections``); its requests are read one after the other
(``config.server.reading``); each waits for its turn (``config.server.turns``), and one that reads lets what is being
accepted pass; the application is called, and its answer written (``config.server.answering``). Where gunicorn is
configured for more, such as an access log or TLS, it serves in its own way.
"""

import errno
import gc
import sys
import time
from collections.abc import Callable
from typing import Any

from gevent import GreenletExit, getcurrent
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.ggevent import GeventWorker

from config.server.answering import Answer
from config.server.connections import LEAVING, Connection, Connections, caller
from config.server.reading import Request, Requests, Shared
from config.server.turns import Turns
from config.settings import SettingsError

#: requests of a caller that may wait for their turn
QUEUED = 200
#: above this many waiting requests, the time that a request has waited counts as load
MANY = 64
#: always served, and maybe urgent, by the ends of their paths
AT_ONCE, MAYBE_URGENT = ("/health",), ("/trigger", "/run", "/events", "/cancel", "/approve", "/reject")


class Worker(GeventWorker):  # type: ignore[misc]
    """gunicorn's worker with bounded connections."""

    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = Connections(self.worker_connections - LEAVING)
        self.turns = Turns()
        self._shared: Shared | None = None
        #: tells whether the key that a request shows was valid lately
        self.knows: Callable[[str], bool] = lambda _key: False
        #: lets what is being accepted pass, for a moment
        self.gives_way: Callable[[], None] = lambda: None

    def load_wsgi(self) -> None:
        """Load the application.

        A wrong setting ends the server too, instead of this process again and again. What is loaded stays: the garbage
        collector, which would take a sixth of the time, does not look at it, then or later.

        Raises:
            SystemExit: with the status by which gunicorn knows that.
        """
        gc.disable()
        try:
            super().load_wsgi()
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None
        finally:
            gc.freeze()
            gc.enable()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection to its end."""
        shared = self._shared = self._shared or Shared(self.cfg, self.log)
        server = listener.getsockname()
        with self._connections.counted(client, addr) as connection:
            if shared.is_usual and isinstance(addr, tuple) and isinstance(server, tuple):
                self._serve(shared, server, connection, addr)
            else:
                super().handle(listener, connection, addr)

    def _serve(self, shared: Shared, server: Any, connection: Connection, addr: Any) -> None:
        """Answer the requests of a connection, one after the other."""
        request = None
        connection.setblocking(True)
        try:
            requests = Requests(shared, connection, addr, server)
            while True:
                request = None
                connection.free(self.cfg.keepalive)
                try:
                    request = next(requests)
                except TimeoutError:
                    break
                self.handle_request(server, request, connection, addr)
        except (NoMoreData, StopIteration) as error:
            self.log.debug("Closing connection. %s", error)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                self.log.exception("Socket error processing request.")
        except BaseException as error:  # noqa: BLE001 - gunicorn's own handling, of whatever it is
            self.handle_error(request, connection, addr, error)
        finally:
            util.close(connection)

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> None:
        """Answer a request when its turn comes."""
        peer = caller(req, addr)
        if not req.path.endswith(AT_ONCE):
            who = self._who(req, peer)
            urgent = req.method == "POST" and req.path.endswith(MAYBE_URGENT)
            if (sock.beyond or self.turns.of(who) >= QUEUED) and not urgent:
                util.write_error(sock, 503, "", "More is being asked than can be done soon; try again in a moment.")
                raise StopIteration
            begun = time.monotonic()
            self.turns.take(who)
            many = len(self.turns) > MANY
            getcurrent().waited = time.monotonic() - begun if many else 0.0  # read by the application
            if req.method == "GET":
                self.gives_way()
        sock.begin(req)
        try:
            if self._shared is not None and self._shared.is_usual:
                self._answer(listener_name, req, sock, peer)
            else:
                super().handle_request(listener_name, req, sock, peer)
        except (GreenletExit, SystemExit):  # as gunicorn's own: this process, or the client, has gone
            pass
        finally:
            sock.end()

    def _answer(self, server: Any, req: Any, sock: Connection, peer: Any) -> None:
        """Call the application, and write what it answers.

        Raises:
            StopIteration: the connection ends with this answer. Besides what the application and the connection raise.
        """
        answer, environ = self._begun(server, req, sock, peer)
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive:
            answer.force_close()
        try:
            self._write(answer, self.wsgi(environ, answer.start_response))
        except (StopIteration, OSError):
            raise
        except (Exception, SystemExit):
            if not answer.headers_sent:
                raise
            self.log.exception("Error handling request")  # a second head would be read as a part of the body
            sock.give_up()
            raise StopIteration from None
        if answer.should_close():
            raise StopIteration

    def _begun(self, server: Any, req: Any, sock: Connection, peer: Any) -> tuple[Answer, dict[str, Any]]:
        if not isinstance(req, Request):
            answer, environ = wsgi.create(req, sock, peer, server, self.cfg, response_class=Answer)
            return answer, {**environ, "wsgi.multithread": True}
        environ = req.environ
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer[0], str(peer[1])
        environ["PATH_INFO"] = util.unquote_to_wsgi_str(req.path) if "%" in req.path else req.path
        return Answer(req, sock, self.cfg), environ

    @staticmethod
    def _write(answer: Answer, pieces: Any) -> None:
        try:
            if isinstance(pieces, wsgi.FileWrapper):
                answer.write_file(pieces)
            else:
                for piece in pieces:
                    answer.write(piece)
            answer.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def _who(self, req: Any, peer: Any) -> str:
        """The caller whose turn it is with this request.

        That is the key, or the address where the request shows no known key.
        """
        for name, value in req.headers:
            if name in ("AUTHORIZATION", "X-API-KEY") and self.knows(value):
                return str(value)
        return str(peer[0])
