"""The error of an operator that has no replacement here."""


def not_replaced(what: str) -> RuntimeError:
    """Returns an error that names what is missing and how to have it."""
    return RuntimeError(
        f'mmcv._ext: {what} is an operator of mmcv, which was installed without its operators; '
        'build them with make setup MMCV_OPS=1'
    )
