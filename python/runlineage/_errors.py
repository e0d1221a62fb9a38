"""The exceptions of this package."""


class Error(Exception):
    """Base of all exceptions of this package. The text says what failed, what to do, and each cause on a line of its own."""


class InvalidArgument(Error, ValueError):
    """An argument that cannot be used; no request was sent."""


class Unsupported(Error, ValueError):
    """A filter that cannot be evaluated exactly, or that callers may not use."""


class MongoError(Error, ConnectionError):
    """MongoDB refused a command, or did not answer."""


class DatabaseError(Error):
    """The operation cannot use this database."""


class DocumentError(Error):
    """A stored document is not a run."""


class MlflowError(Error):
    """MLflow refused a call, or did not answer."""


class LocalDatabaseError(Error):
    """The local database cannot be started."""


class DrawingError(Error):
    """A graph cannot be drawn."""


class NotFound(Error, LookupError):
    """The mirror has never seen the run, node, model or experiment."""


# Users know them by the name of the package.
for _exception in [Error, *Error.__subclasses__()]:
    _exception.__module__ = "runlineage"
