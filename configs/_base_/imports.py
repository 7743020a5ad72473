# The classes of the package, by their names.
custom_imports = dict(
    imports=['mmdefocus.models', 'mmdefocus.engine', 'mmdefocus.datasets', 'mmdefocus.evaluation'],
    allow_failed_imports=False,
)
