defmodule Tenants.Application do
  # The processes of the server. mongoose_domain was started before, so every lookup is answered by now.
  #
  # A process that crashes takes no other one along: connections that lose the registry end by themselves, and a new
  # observer compares all connections with the table.
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      Tenants.Members,
      {Tenants.Notes, Application.fetch_env!(:tenants, :data_dir)},
      {DynamicSupervisor, name: Tenants.Connections, max_children: 10_000},
      Tenants.Observer,
      {Tenants.Listener, Application.fetch_env!(:tenants, :port)}
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Tenants.Supervisor)
  end
end
