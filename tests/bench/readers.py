"""Clients that read lists without pause: ``readers.py PORT KEY CLIENTS PATH...``, until its standard input is closed.

Each goes through the paths from a place of its own. At the end the number of answers is written.
"""

import sys
import threading
from http.client import HTTPConnection


def read(port: int, key: str, paths: list[str], over: threading.Event, counts: list[int]) -> None:
    """One client."""
    link, number = HTTPConnection("127.0.0.1", port, timeout=60), 0
    while not over.is_set():
        link.request("GET", paths[number % len(paths)], headers={"Authorization": f"Bearer {key}"})
        answer = link.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"a list answered {answer.status}")
        number += 1
    counts.append(number)


def main() -> None:
    port, key, clients, *paths = sys.argv[1:]
    over, counts = threading.Event(), []
    threads = []
    for number in range(int(clients)):
        place = number * len(paths) // int(clients)
        given = (int(port), key, paths[place:] + paths[:place], over, counts)
        threads.append(threading.Thread(target=read, args=given))
        threads[-1].start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(sum(counts))


if __name__ == "__main__":
    main()
