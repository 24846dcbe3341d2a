defmodule Tenants.Observer do
  @moduledoc """
  Closes the connections of tenants that are disabled, removed or get another plan.

  It observes the table of `mongoose_domain`, which sends each change after lookups show it, and the next batch when
  this one was handled. `:everything` comes first, and where too many changes were waiting: then all connections are
  compared with the table.
  """

  use GenServer
  alias Tenants.Members

  @spec start_link(term) :: GenServer.on_start()
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    :ok = :mongoose_domain_observers.observe()
    {:ok, nil}
  end

  @impl true
  def handle_info({:domain_changes, batch, changes}, state) do
    handle(changes)
    :ok = :mongoose_domain_observers.handled(batch)
    {:noreply, state}
  end

  defp handle(:everything) do
    for {domain, host_type} <- Members.tenants(),
        :mongoose_domain_api.get_host_type(domain) != {:ok, host_type},
        do: Members.gone(domain, host_type)
  end

  defp handle(changes) do
    for {:removed, host_type, domain} <- changes, do: Members.gone(domain, host_type)
  end
end
