defmodule Tenants.Pipeline do
  @moduledoc """
  The plugs that each request passes, in order. One that halts the request is the last one.

  `Tenants.HostType` is the first: what comes behind it knows the tenant and its plan, and sees no other request.
  """

  alias Tenants.Conn

  @callback call(Conn.t()) :: Conn.t()

  @plugs [Tenants.HostType, Tenants.Pages]

  @spec run(Conn.t()) :: Conn.t()
  def run(conn) do
    Enum.reduce_while(@plugs, conn, fn plug, conn ->
      case plug.call(conn) do
        %Conn{halted: true} = conn -> {:halt, conn}
        conn -> {:cont, conn}
      end
    end)
  end
end
