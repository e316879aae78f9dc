# Installs VMware's tools from the ISO image that Packer has uploaded, if it has.
$ErrorActionPreference = 'Stop'

$iso = 'C:\Windows\Temp\vmtools.iso'
if (Test-Path $iso) {
    $image = Mount-DiskImage -ImagePath $iso -PassThru
    $drive = ($image | Get-Volume).DriveLetter
    $setup = Start-Process -Wait -PassThru "${drive}:\setup64.exe" -ArgumentList '/S', '/v"/qn REBOOT=R"'
    Dismount-DiskImage -ImagePath $iso | Out-Null
    Remove-Item $iso
    # 3010: done, and a restart is due. It comes after Ansible.
    if ($setup.ExitCode -notin 0, 3010) { exit $setup.ExitCode }
}
