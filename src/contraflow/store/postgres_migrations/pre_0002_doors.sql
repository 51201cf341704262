-- What the doors need: who may call, who is told, whole files of refunds, and quick lists.
-- Of these tables nothing says what became of money; see decisions/0024.

CREATE TABLE api_key (
    key_id text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    name text NOT NULL,
    mode text NOT NULL CHECK (mode = 'test' OR mode = 'live'),
    hint text NOT NULL, -- How it begins, to know it again.
    sha256 bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    scopes text NOT NULL,
    merchant text NOT NULL,
    networks text NOT NULL,
    algorithm text NOT NULL CHECK (
        algorithm = '' OR algorithm = 'ed25519' OR algorithm = 'hmac-sha256'),
    material bytea NOT NULL, -- A public key, or a sealed secret.
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
CREATE INDEX api_key_tenant ON api_key (tenant, created_at);

-- Of signed requests: each is used once, for as long as its signature may be fresh.
CREATE TABLE nonce (
    nonce_id text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    seen_at bigint NOT NULL
);
CREATE INDEX nonce_age ON nonce (seen_at);

CREATE TABLE merchant_reference (
    reference text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (reference, object_id)
);

CREATE INDEX payment_time ON payment (
    split_part(payment_id, '/', 1) COLLATE "C", created_at, payment_id);
CREATE INDEX instruction_time ON instruction (
    split_part(instruction_id, '/', 1) COLLATE "C", requested_at, instruction_id);

CREATE TABLE webhook_endpoint (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    url text NOT NULL,
    description text NOT NULL,
    merchant text NOT NULL,
    mode text NOT NULL CHECK (mode = 'test' OR mode = 'live'),
    types text NOT NULL, -- Of events; empty for all.
    metadata text NOT NULL,
    secrets text NOT NULL, -- Sealed, the newest first.
    status text NOT NULL CHECK (status = 'enabled' OR status = 'disabled'),
    why text NOT NULL, -- It is disabled.
    failing_since bigint, -- Nothing has been delivered since.
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL
);

CREATE TABLE delivery (
    delivery_id text COLLATE "C" PRIMARY KEY,
    endpoint_id text COLLATE "C" NOT NULL REFERENCES webhook_endpoint (endpoint_id),
    event_id text COLLATE "C" NOT NULL,
    type text NOT NULL,
    position bigint NOT NULL, -- Of the event in the feed; 0 of a test.
    body bytea NOT NULL,
    status text NOT NULL CHECK (
        status = 'pending' OR status = 'delivered' OR status = 'failed' OR status = 'canceled'),
    attempts bigint NOT NULL CHECK (attempts >= 0),
    created_at bigint NOT NULL,
    due_at bigint,
    answer bigint NOT NULL, -- The last HTTP status, or 0.
    failure text NOT NULL,
    attempted_at bigint,
    CHECK ((status = 'pending') = (due_at IS NOT NULL))
);
CREATE INDEX delivery_due ON delivery (endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_list ON delivery (endpoint_id, created_at, delivery_id);

CREATE TABLE refund_batch (
    batch_id text COLLATE "C" PRIMARY KEY,
    state text NOT NULL CHECK (
        state = 'receiving' OR state = 'running' OR state = 'paused' OR state = 'canceled' OR
        state = 'finished' OR state = 'failed'),
    sha256 text NOT NULL, -- Of the whole file; empty while it is received.
    format text NOT NULL CHECK (format = 'csv' OR format = 'ndjson'),
    lines bigint NOT NULL,
    next_line bigint NOT NULL CHECK (next_line BETWEEN 1 AND lines + 1),
    accepted bigint NOT NULL CHECK (accepted >= 0),
    refused bigint NOT NULL CHECK (refused >= 0),
    caller text NOT NULL, -- Who asked, as labels and restrictions.
    metadata text NOT NULL,
    failure text NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    leased_until bigint NOT NULL,
    lease text NOT NULL,
    CHECK (accepted + refused = next_line - 1)
);
CREATE INDEX refund_batch_open ON refund_batch (leased_until) WHERE state = 'running';

CREATE TABLE refund_batch_lines (
    batch_id text COLLATE "C" NOT NULL,
    first_line bigint NOT NULL CHECK (first_line > 0),
    body bytea NOT NULL,
    PRIMARY KEY (batch_id, first_line)
);

CALL keep_rows('merchant_reference', 'is append only', 'UPDATE OR DELETE OR TRUNCATE');
CALL keep_rows('api_key', 'is never removed', 'DELETE OR TRUNCATE');
CALL keep_rows('api_key', 'keeps what it was made with',
    'UPDATE OF key_id, tenant, name, mode, hint, sha256, scopes, merchant, networks, algorithm,
    material, created_at');
CALL keep_rows('refund_batch', 'is never removed', 'DELETE OR TRUNCATE');
CALL keep_rows('refund_batch_lines', 'is never removed', 'DELETE OR TRUNCATE');

GRANT SELECT ON api_key, nonce, merchant_reference, webhook_endpoint, delivery, refund_batch,
    refund_batch_lines TO contraflow_writer;
GRANT SELECT ON merchant_reference, delivery, refund_batch, refund_batch_lines
    TO contraflow_reader;
GRANT INSERT ON api_key, nonce, merchant_reference, webhook_endpoint, delivery, refund_batch,
    refund_batch_lines TO contraflow_writer;
GRANT UPDATE (expires_at, revoked_at) ON api_key TO contraflow_writer;
GRANT UPDATE (seen_at), DELETE ON nonce TO contraflow_writer;
GRANT UPDATE (url, description, types, metadata, secrets, status, why, failing_since, changed_at)
    ON webhook_endpoint TO contraflow_writer;
GRANT UPDATE (status, attempts, due_at, answer, failure, attempted_at), DELETE ON delivery
    TO contraflow_writer;
GRANT UPDATE (state, sha256, format, lines, next_line, accepted, refused, caller, metadata, failure,
    finished_at, leased_until, lease) ON refund_batch TO contraflow_writer;
GRANT UPDATE (body) ON refund_batch_lines TO contraflow_writer;
