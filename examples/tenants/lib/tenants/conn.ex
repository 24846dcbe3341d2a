defmodule Tenants.Conn do
  @moduledoc """
  One request and its response, as they pass through `Tenants.Pipeline`.

  The functions have the names of Plug's, so that a reader finds them there. `host` is what the client sent, and
  `assigns` has what the plugs found out about it.
  """

  @enforce_keys [:method, :path, :host]
  defstruct [:method, :path, :host, :status, body: "", assigns: %{}, resp_body: "", halted: false]

  @type t :: %__MODULE__{
          method: String.t(),
          path: String.t(),
          host: {:ok, String.t()} | {:error, :no_host | :several_hosts},
          body: binary,
          assigns: map,
          status: nil | 100..599,
          resp_body: iodata,
          halted: boolean
        }

  @spec assign(t, atom, term) :: t
  def assign(conn, key, value), do: %{conn | assigns: Map.put(conn.assigns, key, value)}

  @spec send_resp(t, 100..599, iodata) :: t
  def send_resp(conn, status, body), do: %{conn | status: status, resp_body: body}

  @doc "No plug after this one is called."
  @spec halt(t) :: t
  def halt(conn), do: %{conn | halted: true}
end
