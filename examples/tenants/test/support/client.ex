defmodule Tenants.Client do
  # HTTP as bytes, since the tests send hosts that a client library would not send.
  @moduledoc false

  @deadline 30_000

  @spec connect(:inet.port_number()) :: :gen_tcp.socket()
  def connect(port) do
    {:ok, socket} = :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false])
    socket
  end

  @doc "A request to this host and its response, on a connection of its own."
  def get(port, host, path \\ "/"), do: port |> connect() |> get_again(host, path)

  def get_again(socket, host, path \\ "/"), do: request(socket, "GET #{path}", ["Host: #{host}"])

  def post(port, host, path, body) do
    headers = ["Host: #{host}", "Content-Length: #{byte_size(body)}"]
    port |> connect() |> request("POST #{path}", headers, body)
  end

  @doc "Sends a request line without its version, headers and a body. Returns `{status, body}`."
  def request(socket, line, headers, body \\ ""),
    do: raw(socket, "#{line} HTTP/1.1", headers, body)

  def raw(socket, line, headers, body \\ "") do
    :ok = :gen_tcp.send(socket, [Enum.map([line | headers], &[&1, "\r\n"]), "\r\n", body])
    :ok = :inet.setopts(socket, packet: :http_bin)
    {:ok, {:http_response, {1, 1}, status, _reason}} = :gen_tcp.recv(socket, 0, @deadline)
    length = content_length(socket, 0)
    :ok = :inet.setopts(socket, packet: :raw)
    {:ok, body} = if length > 0, do: :gen_tcp.recv(socket, length, @deadline), else: {:ok, ""}
    {status, body}
  end

  @doc "Waits until the server closes the connection."
  def closed?(socket), do: :gen_tcp.recv(socket, 0, @deadline) == {:error, :closed}

  defp content_length(socket, length) do
    case :gen_tcp.recv(socket, 0, @deadline) do
      {:ok, {:http_header, _, :"Content-Length", _, value}} ->
        content_length(socket, String.to_integer(value))

      {:ok, {:http_header, _, _name, _, _value}} ->
        content_length(socket, length)

      {:ok, :http_eoh} ->
        length
    end
  end
end
