defmodule Tenants.Events do
  # A handler of OTP's logger that sends each event of mongoose_domain to one process. docs/elixir.md has one that
  # sends them to telemetry.
  @moduledoc false

  @spec subscribe() :: :ok
  def subscribe, do: :logger.add_handler(__MODULE__, __MODULE__, %{config: self()})

  @spec unsubscribe() :: :ok | {:error, term}
  def unsubscribe, do: :logger.remove_handler(__MODULE__)

  @doc false
  def log(%{level: level, msg: {:report, %{what: event} = report}}, %{config: pid}),
    do: send(pid, {:event, event, level, report})

  def log(_other, _config), do: :ok
end
