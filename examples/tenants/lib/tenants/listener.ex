defmodule Tenants.Listener do
  @moduledoc """
  Accepts connections, and starts a process for each.
  """

  require Logger
  alias Tenants.Connection

  @options [
    :binary,
    ip: {127, 0, 0, 1},
    active: false,
    reuseaddr: true,
    backlog: 128,
    # A client that does not read its response.
    send_timeout: 10_000,
    send_timeout_close: true,
    packet: :http_bin,
    # The longest line of a head.
    packet_size: 8192
  ]

  @spec child_spec(:inet.port_number()) :: Supervisor.child_spec()
  def child_spec(port), do: %{id: __MODULE__, start: {__MODULE__, :start_link, [port]}}

  @spec start_link(:inet.port_number()) :: {:ok, pid} | {:error, term}
  def start_link(port), do: :proc_lib.start_link(__MODULE__, :init, [self(), port])

  @doc false
  @spec init(pid, :inet.port_number()) :: no_return
  def init(parent, port) do
    case :gen_tcp.listen(port, @options) do
      {:ok, listening} ->
        {:ok, open} = :inet.port(listening)
        Logger.notice("tenants listens at http://127.0.0.1:#{open}")
        :proc_lib.init_ack(parent, {:ok, self()})
        accept(listening)

      {:error, reason} ->
        Logger.error("tenants cannot listen at port #{port}: #{:inet.format_error(reason)}")
        exit(reason)
    end
  end

  defp accept(listening) do
    case :gen_tcp.accept(listening) do
      {:ok, socket} ->
        serve(socket)

      {:error, :econnaborted} ->
        :ok

      {:error, reason} when reason in [:emfile, :enfile] ->
        Logger.error("tenants cannot accept: #{:inet.format_error(reason)}")
        # Until connections have ended.
        Process.sleep(1000)
    end

    accept(listening)
  end

  defp serve(socket) do
    case DynamicSupervisor.start_child(Tenants.Connections, {Connection, socket}) do
      {:ok, connection} ->
        # Fails where the client is gone already, which the connection notices by itself.
        _ = :gen_tcp.controlling_process(socket, connection)
        Connection.begin(connection)

      {:error, :max_children} ->
        :gen_tcp.close(socket)
    end
  end
end
