"""Two hundred requests a second to one name, run as a program: `python load.py PORT NAME`.

A reading and a writing request in turn, each on a connection of its own or on one that is kept, until a line
comes and a second longer. Prints what failed and how many went well, as JSON.
"""

import http.client
import json
import sys
import threading
import time

CLIENTS, EACH_S = 10, 0.05
PATH = "/cgi-bin/version"


def main(port: int, name: str) -> None:
    over = threading.Event()
    failed: list[str] = []
    took_ms: list[float] = []

    def ask(number: int) -> None:
        kept: http.client.HTTPConnection | None = None
        at, count = time.monotonic(), 0
        while not over.is_set():
            at, count = at + EACH_S, count + 1
            time.sleep(max(0.0, at - time.monotonic()))
            method = "POST" if count % 2 else "GET"
            began = time.monotonic()
            try:
                one = kept or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                one.request(method, PATH, body=b"x" * 200 if method == "POST" else None, headers={"Host": name})
                answer = one.getresponse()
                answer.read()
                kept = one if number % 2 else None
                if kept is None:
                    one.close()
                if answer.status == 200:
                    took_ms.append((time.monotonic() - began) * 1000)
                else:
                    failed.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                kept = None
                failed.append(f"{method} {error!r}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for one in threads:
        one.start()
    print("asks", flush=True)
    sys.stdin.readline()
    time.sleep(1)
    over.set()
    for one in threads:
        one.join()
    print(json.dumps({"failed": failed, "took_ms": took_ms}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
