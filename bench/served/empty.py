"""An empty FastAPI app on uvicorn: what a process that serves HTTP takes at least, in the field's usual stack."""

import socket

import uvicorn
from fastapi import FastAPI

if __name__ == "__main__":
    app = FastAPI()
    app.get("/healthz")(lambda: {"status": "ok"})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])
