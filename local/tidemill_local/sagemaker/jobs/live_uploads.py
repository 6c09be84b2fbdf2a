"""Uploads that go on while a job runs: checkpoints, and outputs of the mode Continuous."""

import threading

from tidemill_local.sagemaker.containers.channels import TransferError, Upload

_PAUSE_SECONDS = 0.5


class LiveUploads:
    """Sends what has changed a few times a second, from a thread of its own."""

    def __init__(self) -> None:
        self._uploads: list[Upload] = []
        self._ending = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def add(self, upload: Upload) -> None:
        """Take an upload, before the start."""
        self._uploads.append(upload)

    def start(self) -> None:
        """Begin, if there is anything to send."""
        if self._uploads:
            self._thread = threading.Thread(target=self._work, name="live-uploads", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """
        Raise what went wrong.

        Raises:
            TransferError: S3 refuses.
        """
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread; what it is sending just now still goes out."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """
        Send what has changed, for the last time.

        Raises:
            TransferError: S3 refuses.
        """
        for upload in self._uploads:
            upload.run()

    def _work(self) -> None:
        while not self._ending.wait(_PAUSE_SECONDS):
            try:
                self.run()
            except (TransferError, OSError) as error:
                self._error = error
                return
