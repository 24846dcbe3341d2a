defmodule Tenants.Members do
  @moduledoc """
  Which connections belong to which tenant, so that they end with it.

  A connection belongs to the host of its last request, with the host type that it had then.
  """

  @registry __MODULE__

  @spec child_spec(term) :: Supervisor.child_spec()
  def child_spec(_options), do: Registry.child_spec(keys: :duplicate, name: @registry)

  @doc "From now on the calling process gets `{:host_gone, domain}` when this host type serves the domain no more."
  @spec join(String.t(), String.t()) :: :ok
  def join(domain, host_type) do
    if Registry.values(@registry, domain, self()) != [host_type] do
      :ok = leave()
      {:ok, _registry} = Registry.register(@registry, domain, host_type)
    end

    :ok
  end

  @spec leave() :: :ok
  def leave do
    for domain <- Registry.keys(@registry, self()), do: Registry.unregister(@registry, domain)
    :ok
  end

  @spec member?(String.t()) :: boolean
  def member?(domain), do: domain in Registry.keys(@registry, self())

  @doc "Tells the connections of one tenant that it is gone."
  @spec gone(String.t(), String.t()) :: :ok
  def gone(domain, host_type) do
    Registry.dispatch(@registry, domain, fn entries ->
      for {pid, ^host_type} <- entries, do: send(pid, {:host_gone, domain})
    end)
  end

  @doc "All tenants with connections."
  @spec tenants() :: [{domain :: String.t(), host_type :: String.t()}]
  def tenants do
    @registry |> Registry.select([{{:"$1", :_, :"$2"}, [], [{{:"$1", :"$2"}}]}]) |> Enum.uniq()
  end
end
