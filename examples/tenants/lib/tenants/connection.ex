defmodule Tenants.Connection do
  @moduledoc """
  One connection: HTTP/1.1 requests, one after the other.

  Between requests it waits for the next one, or for `{:host_gone, domain}`, which ends it. What a client may send, and
  for how long, is bounded. A server in production has a library here, such as Bandit or Cowboy; what this example is
  about begins in `Tenants.Pipeline`.
  """

  use GenServer, restart: :temporary
  require Logger
  alias Tenants.{Conn, Members, Pipeline}

  @most_headers 64
  # Bytes.
  @most_body 4096
  # Milliseconds: until a request is read, and until the next one begins.
  @request_time 10_000
  @idle_time 60_000

  @reasons %{
    200 => "OK",
    201 => "Created",
    400 => "Bad Request",
    404 => "Not Found",
    405 => "Method Not Allowed",
    408 => "Request Timeout",
    411 => "Length Required",
    413 => "Content Too Large",
    421 => "Misdirected Request",
    431 => "Request Header Fields Too Large",
    500 => "Internal Server Error",
    507 => "Insufficient Storage"
  }

  @spec start_link(:gen_tcp.socket()) :: GenServer.on_start()
  def start_link(socket), do: GenServer.start_link(__MODULE__, socket)

  @doc "Starts to read. The process must own its socket by now."
  @spec begin(pid) :: :ok
  def begin(connection), do: GenServer.cast(connection, :begin)

  @impl true
  def init(socket), do: {:ok, socket}

  @impl true
  def handle_cast(:begin, socket), do: await_request(socket)

  @impl true
  def handle_info({:http, socket, {:http_request, method, target, version}}, socket) do
    case read_request(socket, method, target) do
      {:ok, conn, headers} -> respond(socket, run(conn), keep?(version, headers))
      {:refused, status} -> respond(socket, status, "The request cannot be read.\n", false)
      :gone -> {:stop, :normal, socket}
    end
  end

  def handle_info({:http, socket, _no_request}, socket),
    do: respond(socket, 400, "This is no request.\n", false)

  def handle_info({:host_gone, domain}, socket) do
    # The message may be about the host of an earlier request.
    if Members.member?(domain), do: {:stop, :normal, socket}, else: await_request(socket)
  end

  def handle_info(:timeout, socket), do: {:stop, :normal, socket}
  def handle_info({:tcp_closed, socket}, socket), do: {:stop, :normal, socket}
  def handle_info({:tcp_error, socket, _reason}, socket), do: {:stop, :normal, socket}

  defp await_request(socket) do
    case :inet.setopts(socket, packet: :http_bin, active: :once) do
      :ok -> {:noreply, socket, @idle_time}
      {:error, _closed} -> {:stop, :normal, socket}
    end
  end

  # Reading

  defp read_request(socket, method, target) do
    deadline = System.monotonic_time(:millisecond) + @request_time

    with {:ok, headers} <- read_headers(socket, deadline, []),
         {:ok, body} <- read_body(socket, deadline, headers) do
      conn = %Conn{
        method: to_string(method),
        path: path(target),
        host: host(target, headers),
        body: body
      }

      {:ok, conn, headers}
    end
  end

  defp read_headers(_socket, _deadline, headers) when length(headers) > @most_headers,
    do: {:refused, 431}

  defp read_headers(socket, deadline, headers) do
    case :gen_tcp.recv(socket, 0, time_until(deadline)) do
      {:ok, {:http_header, _, name, _, value}} ->
        header = {name |> to_string() |> String.downcase(), value}
        read_headers(socket, deadline, [header | headers])

      {:ok, :http_eoh} ->
        {:ok, headers}

      {:ok, {:http_error, _line}} ->
        {:refused, 400}

      {:error, :timeout} ->
        {:refused, 408}

      {:error, _closed} ->
        :gone
    end
  end

  defp read_body(socket, deadline, headers) do
    case {values(headers, "transfer-encoding"), values(headers, "content-length")} do
      {[], []} -> {:ok, ""}
      {[], [length]} -> read_body_of(socket, deadline, Integer.parse(length))
      {[_ | _], _} -> {:refused, 411}
      {[], _several} -> {:refused, 400}
    end
  end

  defp read_body_of(_socket, _deadline, {0, ""}), do: {:ok, ""}

  defp read_body_of(_socket, _deadline, {length, ""}) when length > @most_body,
    do: {:refused, 413}

  defp read_body_of(socket, deadline, {length, ""}) when length > 0 do
    with :ok <- :inet.setopts(socket, packet: :raw),
         {:ok, body} <- :gen_tcp.recv(socket, length, time_until(deadline)) do
      {:ok, body}
    else
      {:error, :timeout} -> {:refused, 408}
      {:error, _closed} -> :gone
    end
  end

  defp read_body_of(_socket, _deadline, _no_length), do: {:refused, 400}

  defp time_until(deadline), do: max(deadline - System.monotonic_time(:millisecond), 0)

  defp values(headers, name), do: for({^name, value} <- headers, do: value)

  # A target with a host of its own goes before the header (RFC 9112, 3.2.2).
  defp host({:absoluteURI, _scheme, host, _port, _path}, _headers), do: {:ok, host}

  defp host(_target, headers) do
    case values(headers, "host") do
      [host] when host != "" -> {:ok, host}
      [_, _ | _] -> {:error, :several_hosts}
      _none -> {:error, :no_host}
    end
  end

  defp path({:abs_path, path}), do: path |> String.split("?") |> hd()
  defp path({:absoluteURI, _scheme, _host, _port, path}), do: path({:abs_path, path})
  defp path(_other), do: "*"

  defp keep?(version, headers) do
    version == {1, 1} and
      not Enum.any?(values(headers, "connection"), &(String.downcase(&1) == "close"))
  end

  # Responding

  defp run(conn) do
    Pipeline.run(conn)
  catch
    kind, reason ->
      Logger.error(Exception.format(kind, reason, __STACKTRACE__))
      Conn.send_resp(conn, 500, "That failed.\n")
  end

  defp respond(socket, conn, keep), do: respond(socket, conn.status, conn.resp_body, keep)

  defp respond(socket, status, body, keep) do
    head = [
      "HTTP/1.1 #{status} #{Map.fetch!(@reasons, status)}\r\n",
      "content-type: text/plain; charset=utf-8\r\n",
      "content-length: #{IO.iodata_length(body)}\r\n",
      if(keep, do: "\r\n", else: "connection: close\r\n\r\n")
    ]

    case :gen_tcp.send(socket, [head, body]) do
      :ok when keep -> await_request(socket)
      _closed -> {:stop, :normal, socket}
    end
  end
end
