# The tests of the release need one that was built: `make test` builds it and includes them.
ExUnit.start(capture_log: true, exclude: [:release])
{:ok, _started} = Application.ensure_all_started(:logger)
