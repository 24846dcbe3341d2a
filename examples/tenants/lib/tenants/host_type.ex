defmodule Tenants.HostType do
  @moduledoc """
  The plug that asks `mongoose_domain` which host type serves the host of a request.

  The answer comes from a table in this node: no process is asked and no database, so it is asked for every request, and
  nothing is kept. A tenant is served as soon as it is added, and not any more once it is disabled or removed.

  A request for a host that is not served gets 421 (Misdirected Request), one without a host 400.
  """

  @behaviour Tenants.Pipeline

  import Tenants.Conn
  alias Tenants.Members

  @impl true
  def call(%{host: {:ok, host}} = conn) do
    with {:ok, domain} <- domain(host),
         {:ok, host_type} <- :mongoose_domain_api.get_host_type(domain),
         :ok <- Members.join(domain, host_type),
         # A removal between the lookup and the join told no observer of this connection.
         {:ok, ^host_type} <- :mongoose_domain_api.get_host_type(domain) do
      conn |> assign(:domain, domain) |> assign(:host_type, host_type)
    else
      _not_served ->
        :ok = Members.leave()
        conn |> send_resp(421, "This host is not served here.\n") |> halt()
    end
  end

  def call(%{host: {:error, :no_host}} = conn),
    do: conn |> send_resp(400, "The request names no host.\n") |> halt()

  def call(%{host: {:error, :several_hosts}} = conn),
    do: conn |> send_resp(400, "The request names several hosts.\n") |> halt()

  # `My.Example.:4000` and `my.example` are the same host. The table has names as nameprep leaves them.
  defp domain(host) do
    host
    |> String.replace(~r/:\d*$/, "")
    |> String.replace_suffix(".", "")
    |> :mongoose_domain_core.nameprep()
  end
end
