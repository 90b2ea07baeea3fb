"""What happens to synthetic speech, as shares of its lines and bounds of what is drawn."""

from dataclasses import dataclass

from streaming.errors import SettingError
from training.speech.augmentation import AugmentationConfig

_LEVEL_DB = (-24.0, -16.0)


@dataclass(frozen=True, slots=True)
class Effects:
    """What happens to the speech.

    Attributes:
        speed: bounds of the factor that a line is spoken faster by; pitch moves with it.
        noise_share: share of the lines with noise.
        snr_db: bounds of its distance to the speech.
        reverb_share: share of the lines spoken in a room.
        telephone_share: share of the lines heard through a telephone.

    Raises:
        SettingError: a bound or a share out of its range.
    """

    speed: tuple[float, float] = (1.0, 1.0)
    noise_share: float = 0.0
    snr_db: tuple[float, float] = (5.0, 30.0)
    reverb_share: float = 0.0
    telephone_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.speed[0] <= self.speed[1] <= 2.0:
            raise SettingError(f"the speed {self.speed[0]} to {self.speed[1]} is not a range within 0.5 to 2")
        if not self.snr_db[0] <= self.snr_db[1]:
            raise SettingError(f"the noise ratio {self.snr_db[0]} to {self.snr_db[1]} dB is no range")
        for share in (self.noise_share, self.reverb_share, self.telephone_share):
            if not 0 <= share <= 1:
                raise SettingError(f"{share} is no share of the lines; give 0 to 1")

    @property
    def chain(self) -> AugmentationConfig:
        """The same for `training.speech.augmentation.augment`."""
        return AugmentationConfig(
            self.reverb_share, self.noise_share, 0.0, self.telephone_share, self.snr_db, level_db=_LEVEL_DB
        )


UNCHANGED = Effects()
