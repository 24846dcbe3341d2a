defmodule Tenants.Release do
  # Starts the release as an operator does, and keeps what it prints, which names its ports.
  @moduledoc false

  import ExUnit.Assertions

  @root "_build/prod/rel/tenants"
  @deadline 60_000

  @enforce_keys [:port, :os_pid]
  defstruct [:port, :os_pid, output: ""]

  @spec start(%{String.t() => String.t()}) :: %__MODULE__{}
  def start(environment) do
    program = Path.expand("bin/tenants", @root)
    assert File.exists?(program), "there is no release: `make test` builds it"

    # Without distribution it needs no port mapper, and several can run at the same time.
    environment =
      for {name, value} <- Map.put(environment, "RELEASE_DISTRIBUTION", "none"),
          do: {String.to_charlist(name), String.to_charlist(value)}

    port =
      Port.open({:spawn_executable, program}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        args: ["start"],
        env: environment
      ])

    {:os_pid, os_pid} = Port.info(port, :os_pid)
    # A test that fails leaves no node behind: the start script replaces itself by the VM, so this is the VM's process.
    ExUnit.Callbacks.on_exit({__MODULE__, os_pid}, fn -> kill("KILL", os_pid) end)
    %__MODULE__{port: port, os_pid: os_pid}
  end

  @doc "Where the release has mongoose_domain's programs."
  @spec domainctl() :: Path.t()
  def domainctl do
    [program] = Path.wildcard(Path.expand("lib/mongoose_domain-*/priv/bin/domainctl", @root))
    program
  end

  @doc "Waits until the node has printed what matches, and returns the first group of the expression."
  @spec await(%__MODULE__{}, Regex.t()) :: {String.t(), %__MODULE__{}}
  def await(%{port: port} = release, regex) do
    case Regex.run(regex, release.output) do
      [_, found] ->
        {found, release}

      nil ->
        receive do
          {^port, {:data, data}} -> await(%{release | output: release.output <> data}, regex)
          {^port, {:exit_status, status}} -> flunk("it ended with #{status}:\n#{release.output}")
        after
          @deadline -> flunk("it never printed #{inspect(regex)}:\n#{release.output}")
        end
    end
  end

  @doc "Ends the node as systemd does, and returns its exit status and all that it printed."
  @spec stop(%__MODULE__{}) :: {non_neg_integer, String.t()}
  def stop(release) do
    kill("TERM", release.os_pid)
    stopped = await_end(release)
    ExUnit.Callbacks.on_exit({__MODULE__, release.os_pid}, fn -> :ok end)
    stopped
  end

  @doc "Waits until the node ends by itself."
  @spec await_end(%__MODULE__{}) :: {non_neg_integer, String.t()}
  def await_end(%{port: port} = release) do
    receive do
      {^port, {:data, data}} -> await_end(%{release | output: release.output <> data})
      {^port, {:exit_status, status}} -> {status, release.output}
    after
      @deadline -> flunk("it does not end:\n#{release.output}")
    end
  end

  defp kill(signal, os_pid), do: System.cmd("kill", ["-#{signal}", "#{os_pid}"], stderr_to_stdout: true)
end
