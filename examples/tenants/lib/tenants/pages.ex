defmodule Tenants.Pages do
  @moduledoc """
  The plug that answers a tenant's requests. What a tenant may do depends on its host type, which is its plan.

      GET  /        the tenant, its plan, and how many notes it has
      GET  /notes   its notes, each in a line
      POST /notes   adds a note, while the plan has room
  """

  @behaviour Tenants.Pipeline

  import Tenants.Conn
  alias Tenants.Notes

  @impl true
  def call(%{method: "GET", path: "/", assigns: %{domain: domain, host_type: plan}} = conn) do
    count = length(Notes.list(domain))
    send_resp(conn, 200, "#{domain} (#{plan}): #{count} of #{Notes.most(plan)} notes\n")
  end

  def call(%{method: "GET", path: "/notes", assigns: %{domain: domain}} = conn) do
    send_resp(conn, 200, Enum.map(Notes.list(domain), &[&1, "\n"]))
  end

  def call(%{method: "POST", path: "/notes", assigns: %{domain: domain}} = conn) do
    case Notes.add(domain, String.trim(conn.body)) do
      :ok -> send_resp(conn, 201, "The note is added.\n")
      {:error, :full} -> send_resp(conn, 507, "The plan has no room for another note.\n")
      {:error, :not_served} -> send_resp(conn, 421, "This host is not served here any more.\n")
    end
  end

  def call(%{path: path} = conn) when path in ["/", "/notes"],
    do: send_resp(conn, 405, "Not with this method.\n")

  def call(conn), do: send_resp(conn, 404, "Nothing is here.\n")
end
