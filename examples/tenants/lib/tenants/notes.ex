defmodule Tenants.Notes do
  @moduledoc """
  The tenants' notes, and the handler that deletes them when a tenant is removed.

  One process owns the file. It asks for the host type again before it writes: a removal takes the tenant out of service
  first and calls the handler then, so no note comes after the deletion.

  The process starts after `mongoose_domain`. So the configuration names it with `:await`, and it registers itself: until
  then removals wait, and no tenant loses its row while its notes stay. A project with an Ecto repository does the same
  behind the repository in its supervision tree.

  The file is this node's own. A server with several nodes keeps its tenants' data where all of them reach it.
  """

  @behaviour :mongoose_domain_removal
  use GenServer

  @table __MODULE__
  @priority 50

  @spec start_link(Path.t()) :: GenServer.on_start()
  def start_link(data_dir), do: GenServer.start_link(__MODULE__, data_dir, name: __MODULE__)

  @doc "The notes of a tenant, the oldest first."
  @spec list(String.t()) :: [binary]
  def list(domain), do: GenServer.call(__MODULE__, {:list, domain})

  @spec add(String.t(), binary) :: :ok | {:error, :full | :not_served}
  def add(domain, note), do: GenServer.call(__MODULE__, {:add, domain, note})

  @doc "How many notes a plan allows."
  @spec most(String.t()) :: non_neg_integer
  def most(plan), do: Application.fetch_env!(:tenants, :plans) |> Map.fetch!(plan)

  @doc "Called for each tenant that is removed. A crash stops the removal, which has to be requested again."
  @impl :mongoose_domain_removal
  def remove_domain(_host_type, domain), do: GenServer.call(__MODULE__, {:remove, domain})

  @impl GenServer
  def init(data_dir) do
    # The file is closed in terminate/2 when the supervisor stops this process.
    Process.flag(:trap_exit, true)
    File.mkdir_p!(data_dir)
    file = data_dir |> Path.join("notes.dets") |> String.to_charlist()
    {:ok, @table} = :dets.open_file(@table, file: file)

    for plan <- :mongoose_domain_api.get_host_types() do
      :ok = :mongoose_domain_removal.register_handler(plan, __MODULE__, @priority)
    end

    {:ok, nil}
  end

  @impl GenServer
  def handle_call({:list, domain}, _from, state) do
    {:reply, Enum.reverse(notes(domain)), state}
  end

  def handle_call({:add, domain, note}, _from, state) do
    notes = notes(domain)

    with {:ok, plan} <- :mongoose_domain_api.get_host_type(domain),
         {:room, true} <- {:room, length(notes) < most(plan)} do
      :ok = :dets.insert(@table, {domain, [note | notes]})
      {:reply, :dets.sync(@table), state}
    else
      {:error, :not_found} -> {:reply, {:error, :not_served}, state}
      {:room, false} -> {:reply, {:error, :full}, state}
    end
  end

  def handle_call({:remove, domain}, _from, state) do
    :ok = :dets.delete(@table, domain)
    {:reply, :dets.sync(@table), state}
  end

  @impl GenServer
  def terminate(_reason, _state), do: :dets.close(@table)

  defp notes(domain) do
    case :dets.lookup(@table, domain) do
      [{^domain, notes}] -> notes
      [] -> []
    end
  end
end
