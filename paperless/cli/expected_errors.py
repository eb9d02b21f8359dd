"""Which errors of the command a user can mend; imported when there is one, as it needs every part of the program."""

from aiokafka.errors import KafkaError

from domain import DomainError
from paperless.chaos.port import ChaosError
from paperless.dead_letters.errors import DeadLetterError
from paperless.http_client import CertificateError
from paperless.local.errors import LocalSystemError
from paperless.operations.access_control import AccessControlError
from paperless.operations.preflight import PreflightError
from paperless.operations.replay import ReplayError
from paperless.operations.secrets import SecretError
from paperless.operations.topics import TopicsError
from paperless.population.scenario import ScenarioError
from paperless.traffic.load.result import LoadError
from paperless.traffic.manifest import ManifestError
from paperless.traffic.personas import PersonaError
from paperless.traffic.portal_client import PortalError
from paperless.traffic.survey import LogError
from paperless.verification.scoring_client import ScoringApiError
from paperless.verification.verify import VerifyError
from paperless.whatif.levers import LeverError
from services.scoring.store.publication import PublicationError
from services.vneid_mock.plan_files import PlanError

# What a user can cause or mend; anything else is our own bug and shows its traceback.
EXPECTED = (
    AccessControlError,
    ChaosError,
    CertificateError,
    DeadLetterError,
    DomainError,
    KafkaError,
    LeverError,
    LoadError,
    LocalSystemError,
    LogError,
    ManifestError,
    PersonaError,
    PlanError,
    PortalError,
    PreflightError,
    PublicationError,
    ReplayError,
    ScenarioError,
    ScoringApiError,
    SecretError,
    TopicsError,
    VerifyError,
)
