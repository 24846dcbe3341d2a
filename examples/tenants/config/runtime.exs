# What a node reads from its environment when it starts, under Mix and in a release.
#
#   DATABASE_URL   postgres://… or sqlite:FILE; required
#   HOST_TYPES     the plans of tenants, each with the number of notes that it allows
#   DATA_DIR       where this node keeps its own files
#   PORT           where tenants are served, on loopback; 0 takes a free port, which the log names
#   ADMIN_PORT     where tenants are added and removed, likewise
import Config

plans =
  for plan <- String.split(System.get_env("HOST_TYPES", "basic=3,pro=1000"), ",", trim: true),
      into: %{} do
    [name, notes] = String.split(plan, "=")
    {name, String.to_integer(notes)}
  end

data_dir = System.get_env("DATA_DIR", "data")

config :mongoose_domain,
  host_types: Map.keys(plans),
  data_dir: data_dir,
  # The URL may hold a password, and many tools show the application's environment: only the variable's name is here.
  # SQLite sends no notifications: a node sees what another program changed at its next poll.
  service_domain_db: %{database: {:env, "DATABASE_URL"}, poll_interval: 1000},
  # mongoose_domain starts before the process of this module, so removals wait until it has registered itself.
  removal_handlers: %{all: [{:await, Tenants.Notes}]},
  admin: %{port: String.to_integer(System.get_env("ADMIN_PORT", "8088"))}

config :tenants,
  plans: plans,
  data_dir: data_dir,
  port: String.to_integer(System.get_env("PORT", "4000"))

config :logger, level: :info
