-- What the doors need: who may call, who is told, whole files of refunds, and quick lists.
-- Of these tables nothing says what became of money; see decisions/0024.

CREATE TABLE api_key (
    key_id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode = 'test' OR mode = 'live'),
    hint TEXT NOT NULL, -- How it begins, to know it again.
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    scopes TEXT NOT NULL CHECK (json_valid(scopes)),
    merchant TEXT NOT NULL,
    networks TEXT NOT NULL CHECK (json_valid(networks)),
    algorithm TEXT NOT NULL CHECK (
        algorithm = '' OR algorithm = 'ed25519' OR algorithm = 'hmac-sha256'),
    material BLOB NOT NULL, -- A public key, or a sealed secret.
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_key_tenant ON api_key (tenant, created_at);

-- Of signed requests: each is used once, for as long as its signature may be fresh.
CREATE TABLE nonce (
    nonce_id TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonce_age ON nonce (seen_at);

CREATE TABLE merchant_reference (
    reference TEXT NOT NULL,
    object_id TEXT NOT NULL,
    PRIMARY KEY (reference, object_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX payment_time ON payment (
    substr(payment_id, 1, instr(payment_id, '/')), created_at, payment_id);
CREATE INDEX instruction_time ON instruction (
    substr(instruction_id, 1, instr(instruction_id, '/')), requested_at, instruction_id);

CREATE TABLE webhook_endpoint (
    endpoint_id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    merchant TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode = 'test' OR mode = 'live'),
    types TEXT NOT NULL CHECK (json_valid(types)), -- Of events; empty for all.
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    secrets TEXT NOT NULL CHECK (json_valid(secrets)), -- Sealed, the newest first.
    status TEXT NOT NULL CHECK (status = 'enabled' OR status = 'disabled'),
    why TEXT NOT NULL, -- It is disabled.
    failing_since INTEGER, -- Nothing has been delivered since.
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoint (endpoint_id),
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    position INTEGER NOT NULL, -- Of the event in the feed; 0 of a test.
    body BLOB NOT NULL,
    status TEXT NOT NULL CHECK (
        status = 'pending' OR status = 'delivered' OR status = 'failed' OR status = 'canceled'),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    answer INTEGER NOT NULL, -- The last HTTP status, or 0.
    failure TEXT NOT NULL,
    attempted_at INTEGER,
    CHECK ((status = 'pending') = (due_at IS NOT NULL))
) STRICT;
CREATE INDEX delivery_due ON delivery (endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_list ON delivery (endpoint_id, created_at, delivery_id);

CREATE TABLE refund_batch (
    batch_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (
        state = 'receiving' OR state = 'running' OR state = 'paused' OR state = 'canceled' OR
        state = 'finished' OR state = 'failed'),
    sha256 TEXT NOT NULL, -- Of the whole file; empty while it is received.
    format TEXT NOT NULL CHECK (format = 'csv' OR format = 'ndjson'),
    lines INTEGER NOT NULL,
    next_line INTEGER NOT NULL CHECK (next_line BETWEEN 1 AND lines + 1),
    accepted INTEGER NOT NULL CHECK (accepted >= 0),
    refused INTEGER NOT NULL CHECK (refused >= 0),
    caller TEXT NOT NULL CHECK (json_valid(caller)), -- Who asked, as labels and restrictions.
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    failure TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    leased_until INTEGER NOT NULL,
    lease TEXT NOT NULL,
    CHECK (accepted + refused = next_line - 1)
) STRICT;
CREATE INDEX refund_batch_open ON refund_batch (leased_until) WHERE state = 'running';

CREATE TABLE refund_batch_lines (
    batch_id TEXT NOT NULL,
    first_line INTEGER NOT NULL CHECK (first_line > 0),
    body BLOB NOT NULL,
    PRIMARY KEY (batch_id, first_line)
) STRICT;

CREATE TRIGGER merchant_reference_insert BEFORE INSERT ON merchant_reference
WHEN EXISTS (SELECT 1 FROM merchant_reference
    WHERE reference = NEW.reference AND object_id = NEW.object_id)
BEGIN SELECT RAISE(ABORT, 'merchant_reference is append only'); END;
CREATE TRIGGER merchant_reference_update BEFORE UPDATE ON merchant_reference
BEGIN SELECT RAISE(ABORT, 'merchant_reference is append only'); END;
CREATE TRIGGER merchant_reference_delete BEFORE DELETE ON merchant_reference
BEGIN SELECT RAISE(ABORT, 'merchant_reference is append only'); END;

CREATE TRIGGER api_key_insert BEFORE INSERT ON api_key
WHEN EXISTS (SELECT 1 FROM api_key WHERE key_id = NEW.key_id OR sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'api_key is never replaced'); END;
CREATE TRIGGER api_key_delete BEFORE DELETE ON api_key
BEGIN SELECT RAISE(ABORT, 'api_key is never removed'); END;
CREATE TRIGGER api_key_update BEFORE UPDATE OF
    key_id, tenant, name, mode, hint, sha256, scopes, merchant, networks, algorithm, material,
    created_at
ON api_key
BEGIN SELECT RAISE(ABORT, 'api_key keeps what it was made with'); END;

CREATE TRIGGER refund_batch_delete BEFORE DELETE ON refund_batch
BEGIN SELECT RAISE(ABORT, 'refund_batch is never removed'); END;
CREATE TRIGGER refund_batch_lines_delete BEFORE DELETE ON refund_batch_lines
BEGIN SELECT RAISE(ABORT, 'refund_batch_lines is never removed'); END;
